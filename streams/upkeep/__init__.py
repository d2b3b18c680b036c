"""What operators do: checks, migrations, reconciling, restoring, rejects, users and rights."""
