package telemill;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Flink's DataStream API, tuned by hand, in a mini-cluster of one slot: a pull parser, reused objects, state on the heap.
 * A partition's readings are of its devices alone and there is one worker, so the stream is taken as keyed already and
 * nothing is shuffled: the whole job is one chain in one thread.
 */
final class FlinkStream {
  private FlinkStream() {}

  /** Reads and counts. */
  private static final class Read implements DeserializationSchema<Reading> {
    private final String format;
    private transient Reading.Parser parser;

    Read(String format) {
      this.format = format;
    }

    @Override
    public void open(InitializationContext context) {
      parser = new Reading.Parser(format);
    }

    @Override
    public Reading deserialize(byte[] bytes) throws IOException {
      Meter.count();
      return parser.read(bytes);
    }

    @Override
    public boolean isEndOfStream(Reading reading) {
      return false;
    }

    @Override
    public TypeInformation<Reading> getProducedType() {
      return TypeInformation.of(Reading.class);
    }
  }

  private static final class Minute implements AggregateFunction<Reading, Window, Window> {
    @Override
    public Window createAccumulator() {
      return new Window();
    }

    @Override
    public Window add(Reading reading, Window window) {
      window.add(reading.ts, reading.watts);
      return window;
    }

    @Override
    public Window getResult(Window window) {
      return window;
    }

    @Override
    public Window merge(Window one, Window other) {
      throw new UnsupportedOperationException("tumbling windows don't merge");
    }
  }

  private static final class Row extends ProcessWindowFunction<Window, String, String, TimeWindow> {
    @Override
    public void process(String id, Context context, Iterable<Window> windows, Collector<String> out) {
      out.collect(windows.iterator().next().json(id, context.window().getStart()));
    }
  }

  private static final class Detect extends KeyedProcessFunction<String, Reading, String> {
    private transient ValueState<Zscore> state;

    @Override
    public void open(OpenContext context) {
      state = getRuntimeContext().getState(new ValueStateDescriptor<>("zscore", Zscore.class));
    }

    @Override
    public void processElement(Reading reading, Context context, Collector<String> out) throws IOException {
      Zscore known = state.value();
      if (known == null) {
        known = new Zscore();
        state.update(known); // on the heap it is the same object from now on
      }
      String change = known.on(reading.watts);
      if (change != null) out.collect(Window.alert(reading.id, reading.ts, change));
    }
  }

  /** A row with the device, which stands first in it, as its key. */
  private static final class Write implements KafkaRecordSerializationSchema<String> {
    private final String topic;

    Write(String topic) {
      this.topic = topic;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(String row, KafkaSinkContext context, Long timestamp) {
      byte[] key = row.substring(7, row.indexOf('"', 7)).getBytes(StandardCharsets.UTF_8);
      return new ProducerRecord<>(topic, key, row.getBytes(StandardCharsets.UTF_8));
    }
  }

  static Configuration settings() throws IOException {
    Configuration settings = new Configuration();
    settings.set(
        CheckpointingOptions.CHECKPOINTS_DIRECTORY, Files.createTempDirectory("checkpoints").toUri().toString());
    settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    return settings;
  }

  private static KafkaSink<String> sink(Job job, String topic) {
    return KafkaSink.<String>builder()
        .setBootstrapServers(job.servers())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setProperty("compression.type", "lz4")
        .setProperty("linger.ms", "5")
        .setRecordSerializer(new Write(topic))
        .build();
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

  private static void run(Job job) throws Exception {
    Meter.begin(job.messages());
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(1, settings());
    env.getConfig().enableObjectReuse();
    env.enableCheckpointing(10_000);
    KafkaSource<Reading> source =
        KafkaSource.<Reading>builder()
            .setBootstrapServers(job.servers())
            .setTopics(job.topic())
            .setGroupId(job.group())
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setBounded(OffsetsInitializer.latest())
            .setProperty("max.poll.records", "10000")
            .setValueOnlyDeserializer(new Read(job.format()))
            .build();
    WatermarkStrategy<Reading> watermarks =
        WatermarkStrategy.<Reading>forBoundedOutOfOrderness(Duration.ofMillis(job.lateness()))
            .withTimestampAssigner((reading, before) -> reading.ts);
    DataStream<Reading> readings = env.fromSource(source, watermarks, "readings");
    KeyedStream<Reading, String> keyed = DataStreamUtils.reinterpretAsKeyedStream(readings, reading -> reading.id);
    keyed
        .window(
            job.workload().equals("w3")
                ? SlidingEventTimeWindows.of(Duration.ofMinutes(1), Duration.ofSeconds(5))
                : TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
        .aggregate(new Minute(), new Row())
        .sinkTo(sink(job, job.windows()));
    keyed.process(new Detect()).sinkTo(sink(job, job.alerts()));
    env.execute();
    Meter.end("Flink " + EnvironmentInformation.getVersion());
  }
}
