# Django has no types.
