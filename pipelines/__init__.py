"""The batch job: config, plan, steps, Ray, ledger, dataset, map and the command line."""
