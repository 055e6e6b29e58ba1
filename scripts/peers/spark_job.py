"""The job in Spark Structured Streaming. `python -m scripts.peers.spark_job`; the settings are in the environment.

SPARK_MODE=state     two streaming queries, windows in Spark's own state (RocksDB), checkpointed
SPARK_MODE=partial   one query that writes the windows of each micro-batch, to be summed up by ClickHouse: no state in
                     Spark at all, the topic is read once. What remains durable is where it stands in the topic.
"""

import os
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.types import StringType

from scripts.peers.common import FRONTS, PAIRS, WAIT_DAYS, insert, reverted_by, tell

SCHEMA = (
    "array<struct<wiki:string,title:string,type:string,user:string,actor:string,comment:string,timestamp:long,"
    "rev_id:long,length_old:long,length_new:long>>"
)


def session() -> SparkSession:
    """Two cores, and as many shuffle partitions, instead of 200."""
    builder = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", os.environ["SPARK_JARS"])
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config(
            "spark.sql.streaming.stateStore.providerClass",
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
        )
        .config("spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled", "true")
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


def write(table: str, columns: tuple[str, ...], frame: DataFrame, part: int | None = None) -> None:
    """A micro-batch's rows into ClickHouse."""
    rows = [tuple(row) if part is None else (*row, part) for row in frame.collect()]
    insert(table, columns, rows)


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


def main() -> None:
    """Until the end of the topic."""
    spark = session()
    messages = int(os.environ["CHANGES_PER_MESSAGE"])
    size = int(os.environ["MESSAGES_PER_TRIGGER"])
    if os.environ["SPARK_MODE"] == "state":
        watermarked = timed(changes(spark)).withWatermark("at", f"{WAIT_DAYS} days")

        def front(batch: DataFrame, number: int) -> None:
            write("fronts", FRONTS, batch, 0)
            tell((number + 1) * size * messages)

        running = [
            start(windows(watermarked), "fronts", "update", front),
            start(pairs(changes(spark)), "pairs", "append", lambda batch, _: write("pairs", PAIRS, batch)),
        ]
    else:

        def both(batch: DataFrame, number: int) -> None:
            batch.persist()
            write("fronts", FRONTS, windows(timed(batch)), number)
            write("pairs", PAIRS, pairs(batch))
            batch.unpersist()
            tell((number + 1) * size * messages)

        running = [start(changes(spark), "both", "append", both)]
    for query in running:
        query.awaitTermination()
    spark.stop()


if __name__ == "__main__":
    main()
