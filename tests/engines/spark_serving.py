"""A Spark cluster of the tests' own: a master, two workers of one core and a Connect server, on loopback.

The programs are those of SPARK_HOME, or of the pyspark package that `make spark` puts into `.spark`. All of it is gone
with the process that began it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKERS = 2
SECONDS = 180
ADDRESS = "127.0.0.1"
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"  # nothing here lives long enough for more
SETTINGS = {
    "spark.driver.memory": "2g",
    "spark.driver.host": ADDRESS,
    "spark.driver.bindAddress": ADDRESS,
    "spark.driver.extraJavaOptions": JAVA,
    "spark.executor.memory": "1200m",
    "spark.executor.extraJavaOptions": JAVA,
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.connect.grpc.binding.address": ADDRESS,
    "spark.sql.catalogImplementation": "hive",
    "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
    "spark.hadoop.hive.metastore.schema.verification": "false",
}


def home() -> Path | None:
    """Where Spark is to be had here, with Java to run it."""
    if shutil.which("java") is None:
        return None
    if named := os.environ.get("SPARK_HOME"):
        return Path(named)
    return next(ROOT.glob(".spark/lib/python*/site-packages/pyspark"), None)


@contextmanager
def serving(workers: int = WORKERS) -> Iterator[str]:
    """The address of a fresh cluster's Connect server, which ends with the block, or when this process is killed."""
    spark = home()
    if spark is None:
        message = "there is no Spark to start here, or no Java: `make spark` installs them"
        raise FileNotFoundError(message)
    with tempfile.TemporaryDirectory(prefix="tailrace-spark-") as name, ExitStack() as stack:
        folder = Path(name)
        master_port, connect_port = _free(), _free()
        master = f"spark://{ADDRESS}:{master_port}"

        def begin(program: str, *arguments: str) -> subprocess.Popen[bytes]:
            process = _begun(spark, folder, program, arguments)
            stack.callback(_end, process)
            return process

        options = {**SETTINGS, "spark.cores.max": str(workers), "spark.connect.grpc.binding.port": str(connect_port)}
        options |= _kept_in(folder)
        begin("spark-class", "org.apache.spark.deploy.master.Master", "--host", ADDRESS, "--port", str(master_port),
              "--webui-port", "0")  # fmt: skip
        _answers(master_port)
        for number in range(workers):
            place = folder / f"worker{number}"
            begin("spark-class", "org.apache.spark.deploy.worker.Worker", "--host", ADDRESS, "--webui-port", "0",
                  "--cores", "1", "--memory", "1500m", "--work-dir", str(place), master)  # fmt: skip
        listed = [text for key, value in options.items() for text in ("--conf", f"{key}={value}")]
        server = begin("spark-submit", "--class", CONNECT, "--master", master, *listed, "spark-internal")
        _answers(connect_port, server, folder)
        yield f"sc://{ADDRESS}:{connect_port}"


def _kept_in(folder: Path) -> Mapping[str, str]:
    """Where its tables and its catalogue are."""
    catalogue = f"jdbc:derby:;databaseName={folder / 'catalogue'};create=true"
    return {
        "spark.sql.warehouse.dir": str(folder / "tables"),
        "spark.local.dir": str(folder / "local"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": catalogue,
    }


def _free() -> int:
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return int(found.getsockname()[1])


def _begun(spark: Path, folder: Path, program: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "SPARK_HOME": str(spark),
        "SPARK_LOCAL_IP": ADDRESS,
        "SPARK_DAEMON_JAVA_OPTS": JAVA,
        **({"SPARK_DAEMON_MEMORY": "256m"} if program == "spark-class" else {}),
    }
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", str(spark / "bin" / program), *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C ends the tests first
        )


def _answers(port: int, process: subprocess.Popen[bytes] | None = None, folder: Path | None = None) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection((ADDRESS, port), 1).close()
        except OSError:
            if time.monotonic() > deadline or (process and process.poll() is not None):
                said = (folder / "log").read_text()[-4000:] if folder else ""
                message = f"Spark did not start: nothing answers on port {port}. {said}"
                raise RuntimeError(message) from None
            time.sleep(0.1)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """It is our own child, so the number is nobody else's; executors end with their worker."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
