package telemill;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams with one thread. State is in memory and without a changelog, serializers are written by hand: as fast as
 * it gets, and less safe than its defaults.
 */
final class Streams {
  private static final Duration MINUTE = Duration.ofMinutes(1);

  private Streams() {}

  private static Serde<Reading> readings(String format) {
    Reading.Parser parser = new Reading.Parser(format);
    Deserializer<Reading> read =
        (topic, bytes) -> {
          try {
            return parser.read(bytes);
          } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
          }
        };
    return Serdes.serdeFrom(
        (topic, reading) -> {
          throw new UnsupportedOperationException("readings are only read");
        },
        read);
  }

  private static Serde<Window> windows() {
    Serializer<Window> write =
        (topic, window) ->
            ByteBuffer.allocate(48)
                .putLong(window.n)
                .putDouble(window.total)
                .putDouble(window.low)
                .putDouble(window.high)
                .putDouble(window.last)
                .putLong(window.lastAt)
                .array();
    Deserializer<Window> read =
        (topic, bytes) -> {
          if (bytes == null) return null;
          ByteBuffer from = ByteBuffer.wrap(bytes);
          Window window = new Window();
          window.n = from.getLong();
          window.total = from.getDouble();
          window.low = from.getDouble();
          window.high = from.getDouble();
          window.last = from.getDouble();
          window.lastAt = from.getLong();
          return window;
        };
    return Serdes.serdeFrom(write, read);
  }

  private static Serde<Zscore> zscores() {
    Serializer<Zscore> write =
        (topic, known) ->
            ByteBuffer.allocate(25)
                .putLong(known.n)
                .putDouble(known.mean)
                .putDouble(known.variance)
                .put((byte) (known.raised ? 1 : 0))
                .array();
    Deserializer<Zscore> read =
        (topic, bytes) -> {
          if (bytes == null) return null;
          ByteBuffer from = ByteBuffer.wrap(bytes);
          Zscore known = new Zscore();
          known.n = from.getLong();
          known.mean = from.getDouble();
          known.variance = from.getDouble();
          known.raised = from.get() != 0;
          return known;
        };
    return Serdes.serdeFrom(write, read);
  }

  /** Gives an alert where the z-score of a device raises or clears one; null otherwise. */
  private static final class Detect implements FixedKeyProcessor<String, Reading, String> {
    private FixedKeyProcessorContext<String, String> context;
    private KeyValueStore<String, Zscore> store;

    @Override
    public void init(FixedKeyProcessorContext<String, String> given) {
      context = given;
      store = given.getStateStore("zscores");
    }

    @Override
    public void process(FixedKeyRecord<String, Reading> record) {
      Meter.count();
      Zscore known = store.get(record.key());
      if (known == null) known = new Zscore();
      String change = known.on(record.value().watts);
      store.put(record.key(), known);
      if (change != null)
        context.forward(record.withValue(Window.alert(record.key(), record.value().ts, change)));
    }
  }

  public static void main(String[] arguments) throws Exception {
    Job job = Job.read(arguments[0]);
    Meter.begin(job.messages());
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("zscores"), Serdes.String(), zscores())
            .withLoggingDisabled());
    KStream<String, Reading> readings =
        builder.stream(
            job.topic(),
            Consumed.with(Serdes.String(), readings(job.format()))
                .withTimestampExtractor((record, before) -> ((Reading) record.value()).ts));
    Duration lateness = Duration.ofMillis(job.lateness());
    readings
        .groupByKey(Grouped.with(Serdes.String(), readings(job.format())))
        .windowedBy(
            TimeWindows.ofSizeAndGrace(MINUTE, lateness)
                .advanceBy(job.workload().equals("w3") ? Duration.ofSeconds(5) : MINUTE))
        .emitStrategy(EmitStrategy.onWindowClose())
        .aggregate(
            Window::new,
            (id, reading, window) -> {
              window.add(reading.ts, reading.watts);
              return window;
            },
            Materialized.<String, Window>as(
                    Stores.inMemoryWindowStore("minutes", MINUTE.plus(lateness).multipliedBy(2), MINUTE, false))
                .withKeySerde(Serdes.String())
                .withValueSerde(windows())
                .withLoggingDisabled())
        .toStream((window, value) -> window.key() + " " + window.window().start())
        .map(
            (name, window) -> {
              int space = name.indexOf(' ');
              String id = name.substring(0, space);
              return org.apache.kafka.streams.KeyValue.pair(
                  id, window.json(id, Long.parseLong(name.substring(space + 1))));
            })
        .to(job.windows(), Produced.with(Serdes.String(), Serdes.String()));
    // It counts, so it stands behind the windows: a record goes through all that was added before.
    readings
        .processValues(Detect::new, "zscores")
        .to(job.alerts(), Produced.with(Serdes.String(), Serdes.String()));

    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, job.group());
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.servers());
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir"));
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 5);
    // By default closed windows are given out once a second, and those that the last records close never.
    settings.put("__emit.interval.ms.kstreams.windowed.aggregation__", 0L);
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    streams.start();
    while (!Meter.all()) Thread.sleep(1);
    streams.close(); // delivers and commits
    Meter.end("Kafka Streams " + AppInfoParser.getVersion());
    System.exit(0);
  }
}
