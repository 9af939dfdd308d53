/** Seconds until something may be tried again. */
import { secondsLeft } from "../account/signin";

export class Countdown {
  left = $state(0);
  private timer: ReturnType<typeof setInterval> | undefined;

  start(seconds: number): void {
    const until = Date.now() + seconds * 1000;
    this.stop();
    this.left = seconds;
    this.timer = setInterval(() => {
      this.left = secondsLeft(until, Date.now());
      if (this.left === 0) this.stop();
    }, 250);
  }

  stop(): void {
    clearInterval(this.timer);
    this.left = 0;
  }
}
