# pyspark has types, but only the environments of tests/spark have it.
