package telemill;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import javax.management.MBeanServer;
import javax.management.ObjectName;

/**
 * Measures the steady part: from when the first quarter of the messages is processed to the end. Everything runs in this
 * process, so it is static; one thread counts.
 */
final class Meter {
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private static volatile long messages = Long.MAX_VALUE;
  private static volatile long seen;
  private static volatile boolean watching;
  private static long counted;
  private static volatile long from = -1;
  private static volatile long cpu;
  private static volatile long wall;

  private Meter() {}

  static void begin(long count) {
    messages = count;
  }

  /** Counts a message; tells other threads every 64, and at the end. */
  static void count() {
    if ((++counted & 63) == 0 || counted >= messages) at(counted);
  }

  static boolean all() {
    return seen >= messages;
  }

  private static void at(long count) {
    seen = count;
    if (from < 0 && 4 * count >= messages) {
      cpu = SYSTEM.getProcessCpuTime();
      wall = System.nanoTime();
      from = count;
    }
  }

  /** Takes the count from the metrics of Kafka's consumer, for jobs in which nothing else can count. */
  static Thread watchConsumer() {
    watching = true;
    Thread thread =
        new Thread(
            () -> {
              try {
                MBeanServer beans = ManagementFactory.getPlatformMBeanServer();
                ObjectName every = new ObjectName("kafka.consumer:type=consumer-fetch-manager-metrics,client-id=*");
                while (watching) {
                  long sum = 0;
                  for (ObjectName name : beans.queryNames(every, null))
                    sum += ((Number) beans.getAttribute(name, "records-consumed-total")).longValue();
                  if (sum > seen) at(sum);
                  Thread.sleep(10);
                }
              } catch (javax.management.InstanceNotFoundException ended) {
                // the consumer is closed: all is read
              } catch (Exception error) {
                error.printStackTrace();
              }
            });
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  /** Says that all was read, which the last look at the metrics can have missed. */
  static void done() {
    at(messages);
  }

  /** Prints the line: the rows are delivered. */
  static void end(String version) throws Exception {
    double cpuSeconds = (SYSTEM.getProcessCpuTime() - cpu) / 1e9;
    double wallSeconds = (System.nanoTime() - wall) / 1e9;
    watching = false;
    System.out.println(
        String.format(
            Locale.ROOT,
            "{\"messages\": %d, \"steady\": %d, \"cpu_s\": %.6f, \"wall_s\": %.6f, \"peak_rss_mb\": %.1f,"
                + " \"version\": \"%s, Java %s\"}",
            seen,
            seen - from,
            cpuSeconds,
            wallSeconds,
            peakRssMb(),
            version,
            System.getProperty("java.version")));
    System.out.flush();
  }

  private static double peakRssMb() throws Exception {
    for (String line : Files.readAllLines(Path.of("/proc/self/status")))
      if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", "")) * 1024 / 1e6;
    return 0;
  }
}
