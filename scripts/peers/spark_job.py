"""The job in Spark Structured Streaming. `python -m scripts.peers.spark_job`; the settings are in the environment.

The topic is read twice by the one process, first to warm up (into a database of its own), then to be measured.

SPARK_MODE=state     two streaming queries, windows in Spark's own state (RocksDB), checkpointed
SPARK_MODE=partial   one query that writes the windows of each micro-batch, to be summed up by ClickHouse: no state in
                     Spark at all, the topic is read once. What remains durable is where it stands in the topic.
"""

import json
import os
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery, StreamingQueryListener
from pyspark.sql.types import StringType

from scripts.peers.common import FRONTS, PAIRS, WAIT_DAYS, insert, reverted_by, tell_done, tell_offsets, tell_pass

SCHEMA = (
    "array<struct<wiki:string,title:string,type:string,user:string,actor:string,comment:string,timestamp:long,"
    "rev_id:long,length_old:long,length_new:long>>"
)


def session() -> SparkSession:
    """Two cores, and as many shuffle partitions, instead of 200."""
    builder = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", os.environ["SPARK_JARS"])
        .config("spark.driver.memory", os.environ["SPARK_MEMORY"])
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config(
            "spark.sql.streaming.stateStore.providerClass",
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
        )
        .config("spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled", "true")
        # Spark's own advice for speed: do not count the rows of the state, nor run batches without data
        .config("spark.sql.streaming.stateStore.rocksdb.trackTotalNumberOfRows", "false")
        .config("spark.sql.streaming.noDataMicroBatches.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
    )
    made: SparkSession = builder.getOrCreate()
    made.sparkContext.setLogLevel("ERROR")
    return made


def changes(spark: SparkSession) -> DataFrame:
    """The topic, a row a change."""
    raw = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", os.environ["KAFKA_BOOTSTRAP_SERVERS"])
        .option("subscribe", "wiki.edits")
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", os.environ["MESSAGES_PER_TRIGGER"])
        .load()
    )
    value = F.from_json(F.col("value").cast("string"), SCHEMA)
    return raw.select(F.explode(value).alias("c")).select("c.*")


def windows(frame: DataFrame) -> DataFrame:
    """Figures by window, wiki and actor."""
    known = F.col("length_new").isNotNull() & (F.col("length_old").isNotNull() | (F.col("type") == "new"))
    grown = F.when(known, F.col("length_new") - F.coalesce(F.col("length_old"), F.lit(0))).otherwise(F.lit(0))
    return (
        frame.where("type != 'log'")
        .withColumn("grown", grown)
        .groupBy(F.window("at", "10 seconds").alias("w"), "wiki", "actor")
        .agg(
            F.count("*").alias("edits"),
            F.sum((F.col("type") == "new").cast("int")).alias("creations"),
            F.sum(F.greatest(F.col("grown"), F.lit(0))).alias("bytes_added"),
            F.sum(F.greatest(-F.col("grown"), F.lit(0))).alias("bytes_removed"),
        )
        .select(F.col("w.start").cast("long").alias("window_start"), *FRONTS[1:7])
    )


@F.arrow_udf(StringType())
def reverted(wiki: pa.Array, comment: pa.Array, user: pa.Array) -> pa.Array:
    """Whom a summary names, a batch of rows at once; Arrow all the way is the fastest that PySpark has."""
    rows = zip(wiki.to_pylist(), comment.to_pylist(), user.to_pylist(), strict=True)
    return pa.array([reverted_by(*row) for row in rows], pa.string())


def pairs(frame: DataFrame) -> DataFrame:
    """Reverts that name whom; Spark's own code leaves out what has no summary before Python sees it."""
    edits = frame.where("type = 'edit' AND comment != ''")
    named = edits.withColumn("reverted", reverted("wiki", "comment", "user")).where("reverted != ''")
    return named.select("wiki", "title", "rev_id", F.col("user").alias("reverter"), "reverted")


def timed(frame: DataFrame) -> DataFrame:
    """With event time as a timestamp."""
    return frame.withColumn("at", F.timestamp_seconds("timestamp"))


class Places(StreamingQueryListener):
    """Tells how far each query has come, a batch at a time."""

    def onQueryStarted(self, event: Any) -> None:
        """Nothing to tell yet."""

    def onQueryProgress(self, event: Any) -> None:
        """A batch is committed."""
        progress = event.progress
        tell_offsets(progress.name, json.loads(progress.sources[0].endOffset)["wiki.edits"])

    def onQueryIdle(self, event: Any) -> None:
        """Nothing to tell."""

    def onQueryTerminated(self, event: Any) -> None:
        """Whoever waits for it is told."""


def write(database: str, table: str, columns: tuple[str, ...], frame: DataFrame, part: int | None = None) -> None:
    """A micro-batch's rows into ClickHouse, as columns all the way."""
    rows = frame.toArrow()
    parts = [] if part is None else [[part] * rows.num_rows]
    insert(database, table, columns, [*(column.to_pylist() for column in rows.columns), *parts])


def start(frame: DataFrame, name: str, mode: str, each: Any) -> StreamingQuery:
    """A streaming query over all that is there."""
    return (
        frame.writeStream.queryName(name)
        .outputMode(mode)
        .option("checkpointLocation", f"{os.environ['CHECKPOINTS']}/{name}")
        .trigger(availableNow=True)
        .foreachBatch(each)
        .start()
    )


def with_state(spark: SparkSession, database: str) -> list[StreamingQuery]:
    """Windows in Spark's state; pairs by a query of their own, since an aggregation lets nothing else through."""
    watermarked = timed(changes(spark)).withWatermark("at", f"{WAIT_DAYS} days")

    def fronts(batch: DataFrame, _: int) -> None:
        write(database, "fronts", FRONTS, batch, 0)

    def named(batch: DataFrame, _: int) -> None:
        write(database, "pairs", PAIRS, batch)

    tell_pass(f"{database}-fronts", f"{database}-pairs")
    return [
        start(windows(watermarked), f"{database}-fronts", "update", fronts),
        start(pairs(changes(spark)), f"{database}-pairs", "append", named),
    ]


def without_state(spark: SparkSession, database: str) -> list[StreamingQuery]:
    """The windows of a micro-batch as they are, with its number; the changes are parsed once for both."""

    def both(batch: DataFrame, number: int) -> None:
        batch.persist()
        write(database, "fronts", FRONTS, windows(timed(batch)), number)
        write(database, "pairs", PAIRS, pairs(batch))
        batch.unpersist()

    tell_pass(f"{database}-both")
    return [start(changes(spark), f"{database}-both", "append", both)]


def main() -> None:
    """Until the end of the topic, for each database."""
    spark = session()
    spark.streams.addListener(Places())
    queries = with_state if os.environ["SPARK_MODE"] == "state" else without_state
    for database in os.environ["PEER_DATABASES"].split(","):
        for query in queries(spark, database):
            query.awaitTermination()
    tell_done()
    spark.stop()


if __name__ == "__main__":
    main()
