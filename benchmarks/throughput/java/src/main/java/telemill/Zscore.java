package telemill;

/** Exponentially weighted mean and variance of a device, and whether it is in alert; as peers/device.py has it. */
public final class Zscore {
  private static final double RATE = 1 - Math.pow(0.5, 1.0 / 200);
  private static final int WARMUP = 20;
  private static final double RAISE = 10, CLEAR = 3, FURTHEST = 4;

  public long n;
  public double mean;
  public double variance;
  public boolean raised;

  /** Takes a value in; gives "raised", "cleared" or null. */
  public String on(double value) {
    double difference = value - mean;
    String change = null;
    if (n >= WARMUP && variance > 0) {
      double squared = difference * difference / variance;
      if (raised && squared < CLEAR * CLEAR) {
        raised = false;
        change = "cleared";
      } else if (!raised && squared > RAISE * RAISE) {
        raised = true;
        change = "raised";
      }
      if (squared > FURTHEST * FURTHEST) difference = Math.copySign(FURTHEST * Math.sqrt(variance), difference);
    }
    n++;
    double share = Math.max(RATE, 1.0 / n);
    double step = share * difference;
    mean += step;
    variance = (1 - share) * (variance + difference * step);
    return change;
  }
}
