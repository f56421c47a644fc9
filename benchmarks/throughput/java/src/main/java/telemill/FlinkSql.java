package telemill;

import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/** Flink SQL in a mini-cluster of one slot. The z-score isn't SQL's to express: it is a process table function. */
public final class FlinkSql {
  private FlinkSql() {}

  /** Gives a row where the z-score of a device raises or clears an alert. */
  @DataTypeHint("ROW<at BIGINT, state STRING>")
  public static final class Detect extends ProcessTableFunction<Row> {
    public void eval(
        @StateHint Zscore known, @ArgumentHint(ArgumentTrait.SET_SEMANTIC_TABLE) Row reading) {
      String change = known.on(reading.<Double>getFieldAs("watts"));
      if (change != null) collect(Row.of(reading.<Long>getFieldAs("ts"), change));
    }
  }

  public static void main(String[] arguments) {
    try {
      run(Job.read(arguments[0]));
      System.exit(0);
    } catch (Throwable error) {
      error.printStackTrace();
      System.exit(1); // else its threads would stay
    }
  }

  private static String sink(Job job, String topic) {
    return " WITH ('connector' = 'kafka', 'topic' = '" + topic + "', 'properties.bootstrap.servers' = '" + job.servers()
        + "', 'key.format' = 'raw', 'key.fields' = 'id', 'value.format' = 'json', 'properties.linger.ms' = '5',"
        + " 'properties.compression.type' = 'lz4', 'sink.delivery-guarantee' = 'at-least-once')";
  }

  private static void run(Job job) throws Exception {
    Meter.begin(job.messages());
    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.createLocalEnvironment(1, FlinkStream.settings());
    env.getConfig().enableObjectReuse();
    env.enableCheckpointing(10_000);
    StreamTableEnvironment sql = StreamTableEnvironment.create(env);
    sql.getConfig().set("table.local-time-zone", "UTC");
    sql.executeSql(
        "CREATE TABLE readings (id STRING NOT NULL, ts BIGINT NOT NULL, watts DOUBLE NOT NULL,"
            + " event_time AS TO_TIMESTAMP_LTZ(ts, 3),"
            + " WATERMARK FOR event_time AS event_time - INTERVAL '" + job.lateness() / 1000 + "' SECOND)"
            + " WITH ('connector' = 'kafka', 'topic' = '" + job.topic() + "', 'properties.bootstrap.servers' = '"
            + job.servers() + "', 'properties.group.id' = '" + job.group() + "', 'format' = '" + job.format()
            + "', 'properties.max.poll.records' = '10000',"
            + " 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset')");
    sql.executeSql(
        "CREATE TABLE minutes (id STRING, window_start BIGINT, n BIGINT, total DOUBLE, `mean` DOUBLE, low DOUBLE,"
            + " high DOUBLE, `last` DOUBLE)" + sink(job, job.windows()));
    sql.executeSql("CREATE TABLE alerts (id STRING, `at` BIGINT, state STRING)" + sink(job, job.alerts()));
    sql.createTemporarySystemFunction("detect", Detect.class);
    StatementSet both = sql.createStatementSet();
    both.addInsertSql(
        "INSERT INTO minutes SELECT id,"
            + " TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', window_start) * CAST(1000 AS BIGINT),"
            + " COUNT(*), SUM(watts), AVG(watts), MIN(watts), MAX(watts), LAST_VALUE(watts)"
            + " FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))"
            + " GROUP BY id, window_start, window_end");
    both.addInsertSql(
        "INSERT INTO alerts SELECT id, `at`, state FROM detect(reading => TABLE readings PARTITION BY id)");
    Thread watching = Meter.watchConsumer();
    both.execute().await(); // it fails, or has read to the end
    Meter.done();
    Meter.end("Flink " + EnvironmentInformation.getVersion());
    watching.interrupt();
  }
}
