/* The least that a consumer can do: librdkafka's batch call, a look at every payload, and away with the message.
 *
 *     consumer LIBRDKAFKA SERVERS TOPIC PARTITIONS MESSAGES
 *
 * What it costs is what Kafka's client costs, so it is the floor under every system that reads with librdkafka. It
 * declares what it needs of <librdkafka/rdkafka.h>, for wheels bring the library without its headers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 10000
#define BEGINNING (-2)

typedef struct {
  int err;
  void *topic;
  int32_t partition;
  void *payload;
  size_t len;
  void *key;
  size_t key_len;
  int64_t offset;
  void *private_;
} message_t;

static void *library;

static void *find(const char *name) {
  void *function = dlsym(library, name);
  if (!function) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return function;
}

static double seconds(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  return at.tv_sec + at.tv_nsec / 1e9;
}

static double peak_rss_mb(void) {
  char line[256];
  double kib = 0;
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status))
    if (!strncmp(line, "VmHWM:", 6)) kib = atof(line + 6);
  if (status) fclose(status);
  return kib * 1024 / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: consumer LIBRDKAFKA SERVERS TOPIC PARTITIONS MESSAGES\n");
    return 2;
  }
  library = dlopen(argv[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  void *(*conf_new)(void) = find("rd_kafka_conf_new");
  int (*conf_set)(void *, const char *, const char *, char *, size_t) = find("rd_kafka_conf_set");
  void *(*new)(int, void *, char *, size_t) = find("rd_kafka_new");
  int (*poll_set_consumer)(void *) = find("rd_kafka_poll_set_consumer");
  void *(*list_new)(int) = find("rd_kafka_topic_partition_list_new");
  void *(*list_add)(void *, const char *, int32_t) = find("rd_kafka_topic_partition_list_add");
  int (*list_set_offset)(void *, const char *, int32_t, int64_t) =
      find("rd_kafka_topic_partition_list_set_offset");
  int (*assign)(void *, const void *) = find("rd_kafka_assign");
  void *(*get_consumer)(void *) = find("rd_kafka_queue_get_consumer");
  ssize_t (*consume_batch_queue)(void *, int, message_t **, size_t) = find("rd_kafka_consume_batch_queue");
  void (*message_destroy)(message_t *) = find("rd_kafka_message_destroy");
  const char *(*version_str)(void) = find("rd_kafka_version_str");

  const char *settings[][2] = {
      {"bootstrap.servers", argv[2]},
      {"group.id", "bare-consumer"},
      {"enable.auto.commit", "false"},
      {"fetch.queue.backoff.ms", "0"}, /* else it rests for a second whenever its queue is full */
      {"log_level", "3"},
  };
  char error[512];
  void *conf = conf_new();
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    if (conf_set(conf, settings[i][0], settings[i][1], error, sizeof error)) {
      fprintf(stderr, "%s\n", error);
      return 1;
    }
  void *consumer = new (1, conf, error, sizeof error);
  if (!consumer) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  poll_set_consumer(consumer);
  int partitions = atoi(argv[4]);
  void *list = list_new(partitions);
  for (int partition = 0; partition < partitions; partition++) {
    list_add(list, argv[3], partition);
    list_set_offset(list, argv[3], partition, BEGINNING);
  }
  assign(consumer, list);
  void *queue = get_consumer(consumer);

  static message_t *messages[BATCH];
  int64_t wanted = atoll(argv[5]), seen = 0, from = -1;
  uint64_t sum = 0;
  double cpu = 0, wall = 0;
  while (seen < wanted) {
    /* The call waits until it has all that it is asked for, so at the end it is asked for no more than there is. */
    ssize_t count = consume_batch_queue(queue, 1000, messages, wanted - seen < BATCH ? wanted - seen : BATCH);
    for (ssize_t i = 0; i < count; i++) {
      message_t *message = messages[i];
      if (message->err) {
        fprintf(stderr, "error %d while consuming: %.*s\n", message->err, (int)message->len, (char *)message->payload);
        return 1;
      }
      const unsigned char *payload = message->payload;
      for (size_t j = 0; j < message->len; j++) sum += payload[j];
      message_destroy(message);
    }
    seen += count;
    if (from < 0 && 4 * seen >= wanted) {
      from = seen;
      cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
      wall = seconds(CLOCK_MONOTONIC);
    }
  }
  cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  wall = seconds(CLOCK_MONOTONIC) - wall;
  printf("{\"messages\": %" PRId64 ", \"steady\": %" PRId64
         ", \"cpu_s\": %.6f, \"wall_s\": %.6f, \"peak_rss_mb\": %.1f, \"version\": \"librdkafka %s\", \"sum\": %" PRIu64 "}\n",
         seen, seen - from, cpu, wall, peak_rss_mb(), version_str(), sum);
  fflush(stdout);
  _Exit(0); /* what closing costs isn't of interest, nor does it wait for the group */
}
