package telemill;

import com.fasterxml.jackson.databind.ObjectMapper;

/** What the benchmark asks for; see benchmarks/throughput/job.py. */
record Job(
    String workload,
    String servers,
    String topic,
    int partitions,
    long messages,
    String format,
    String windows,
    String alerts,
    String group,
    long lateness) {
  static Job read(String text) throws Exception {
    return new ObjectMapper().readValue(text, Job.class);
  }
}
