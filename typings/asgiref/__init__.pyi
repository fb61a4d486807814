# asgiref has types, but only the environment of tests/field has it.
