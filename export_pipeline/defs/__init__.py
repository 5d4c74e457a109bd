"""Dagster glue: jobs, ops, schedules and sensors made of exports; no business rule lives here."""
