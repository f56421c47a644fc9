package telemill;

/** The statistics of a minute. */
public final class Window {
  public long n;
  public double total;
  public double low = Double.POSITIVE_INFINITY;
  public double high = Double.NEGATIVE_INFINITY;
  public double last;
  public long lastAt = Long.MIN_VALUE;

  void add(long ts, double watts) {
    n++;
    total += watts;
    low = Math.min(low, watts);
    high = Math.max(high, watts);
    if (ts >= lastAt) {
      last = watts;
      lastAt = ts;
    }
  }

  String json(String id, long start) {
    return "{\"id\":\"" + id + "\",\"window_start\":" + start + ",\"n\":" + n + ",\"total\":" + total + ",\"mean\":"
        + total / n + ",\"low\":" + low + ",\"high\":" + high + ",\"last\":" + last + "}";
  }

  static String alert(String id, long at, String state) {
    return "{\"id\":\"" + id + "\",\"at\":" + at + ",\"state\":\"" + state + "\"}";
  }
}
