"""A Spark cluster of the tests' own: a master, two workers of one core and a Connect server, on loopback.

The programs are those of SPARK_HOME, or of the pyspark package that `make spark` puts into `.spark`. All of it is gone
with the process that began it.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Process = subprocess.Popen[bytes]
ROOT = Path(__file__).parents[2]
WORKERS = 2
SECONDS = 180
EXECUTOR_SECONDS = 60
ADDRESS = "127.0.0.1"
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
JAVA = "-XX:+UseSerialGC"
SETTINGS = {
    "spark.driver.memory": "2g",
    "spark.driver.host": ADDRESS,
    "spark.driver.bindAddress": ADDRESS,
    "spark.driver.extraJavaOptions": JAVA,
    "spark.executor.memory": "1200m",
    "spark.executor.extraJavaOptions": JAVA,
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.filesourceTableRelationCacheSize": "0",
    "spark.sql.hive.filesourcePartitionFileCacheSize": "0",
    "spark.ui.enabled": "false",
    "spark.connect.grpc.binding.address": ADDRESS,
    "spark.sql.catalogImplementation": "hive",
    "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
    "spark.hadoop.hive.metastore.schema.verification": "false",
}
# to compile each of a thousand queries takes longer than they do with little in them
SMALL = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


def home() -> Path | None:
    """Where Spark is to be had here, with Java to run it."""
    if shutil.which("java") is None:
        return None
    if named := os.environ.get("SPARK_HOME"):
        return Path(named)
    return next(ROOT.glob(".spark/lib/python*/site-packages/pyspark"), None)


class Cluster:
    """One that runs, and what can befall it."""

    def __init__(self, spark: Path, folder: Path, workers: int, options: Mapping[str, str]) -> None:
        self._spark, self._folder = spark, folder
        self._master_port, self._connect_port = free(), free()
        self._master = f"spark://{ADDRESS}:{self._master_port}"
        self._workers: list[Process] = []
        self._others: list[Process] = []
        self._options = {
            **SETTINGS,
            **_kept_in(folder),
            **options,
            "spark.cores.max": str(workers),
            "spark.connect.grpc.binding.port": str(self._connect_port),
        }
        self.url = f"sc://{ADDRESS}:{self._connect_port}"

    def start(self) -> None:
        ports = ("--host", ADDRESS, "--port", str(self._master_port), "--webui-port", "0")
        self._others.append(self._begin("spark-class", "org.apache.spark.deploy.master.Master", *ports))
        answers(self._master_port)
        for number in range(int(self._options["spark.cores.max"])):
            self._workers.append(self._worker(number))
        self._serve()

    def strike(self, how: str, chance: random.Random) -> None:
        """Kill the `executors` of a worker, a `worker` or the `server`, which begin again."""
        worker = chance.randrange(len(self._workers))
        if how == "executors":
            self.kill_executors(worker)
        elif how == "worker":
            self.kill_worker(worker)
        else:
            self.restart_server()

    def kill_executors(self, worker: int) -> None:
        """Of one worker, which begins others. A worker that was begun just now has its own after some seconds."""
        deadline = time.monotonic() + EXECUTOR_SECONDS
        while not (found := _children(self._workers[worker].pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found, "the worker has no executor: nothing was struck"
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def kill_worker(self, worker: int) -> None:
        """With its executors, the rows they kept and what they had written for others; another takes its place."""
        self._workers[worker].kill()
        self._workers[worker].wait()
        self._workers[worker] = self._worker(worker)

    def restart_server(self) -> None:
        """The Connect server is killed and begun again; nothing of a session is left."""
        server = self._others.pop()
        server.kill()
        server.wait()
        self._serve()

    def end(self) -> None:
        for process in (*reversed(self._others), *self._workers):
            end(process)

    def _worker(self, number: int) -> Process:
        place = ("--work-dir", str(self._folder / f"worker{number}"))
        size = ("--host", ADDRESS, "--webui-port", "0", "--cores", "1", "--memory", "1500m")
        return self._begin("spark-class", "org.apache.spark.deploy.worker.Worker", *size, *place, self._master)

    def _serve(self) -> None:
        listed = [text for key, value in self._options.items() for text in ("--conf", f"{key}={value}")]
        server = self._begin("spark-submit", "--class", CONNECT, "--master", self._master, *listed, "spark-internal")
        self._others.append(server)
        answers(self._connect_port, server, self._folder)

    def _begin(self, program: str, *arguments: str) -> Process:
        return _begun(self._spark, self._folder, program, arguments)


@contextmanager
def serving(workers: int = WORKERS, options: Mapping[str, str] = SMALL) -> Iterator[Cluster]:
    """A fresh cluster with a Connect server, which ends with the block, or when this process is killed."""
    spark = home()
    if spark is None:
        message = "there is no Spark to start here, or no Java: `make spark` installs them"
        raise FileNotFoundError(message)
    with tempfile.TemporaryDirectory(prefix="tailrace-spark-", ignore_cleanup_errors=True) as name:
        cluster = Cluster(spark, Path(name), workers, options)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.end()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _kept_in(folder: Path) -> Mapping[str, str]:
    """Where its tables and its catalogue are."""
    catalogue = f"jdbc:derby:;databaseName={folder / 'catalogue'};create=true"
    return {
        "spark.sql.warehouse.dir": str(folder / "tables"),
        "spark.local.dir": str(folder / "local"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": catalogue,
    }


def free() -> int:
    """A port of loopback that nobody has just now."""
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return int(found.getsockname()[1])


def _begun(spark: Path, folder: Path, program: str, arguments: tuple[str, ...]) -> Process:
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


def answers(port: int, process: Process | None = None, folder: Path | None = None) -> None:
    """Wait until something does. Raises RuntimeError with the folder's log where nothing will."""
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


def end(process: Process) -> None:
    """It is our own child, so the number is nobody else's; executors end with their worker."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
