"""An Airflow DAG of one task a night; a cleared task of a finished night does nothing again."""

from datetime import datetime, timedelta, timezone

from airflow import DAG
from airflow.providers.standard.operators.bash import BashOperator

with DAG(
    dag_id="remotereasoner_nightly",
    schedule="15 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 - Airflow's workers may be older
    # A night takes the scenes as they are when it runs: there is nothing to catch up on.
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
) as dag:
    BashOperator(
        task_id="nightly",
        bash_command="remotereasoner nightly /srv/remotereasoner/job.yaml --date {{ ds }} --json",
        # 3 is done, but some tiles failed: the task is shown as skipped, not as failed.
        skip_on_exit_code=3,
        append_env=True,
    )
