/** Who is signed in. */
import { ApiError, messageOf, setCsrf, setUnauthorizedHandler } from "../api/client";
import { fetchSession, redeemLink, signOut, type Session } from "../api/bellwether";

export type SessionState = "checking" | "in" | "out" | "unreachable";

class SessionStore {
  state = $state<SessionState>("checking");
  user = $state<Session["user"] | null>(null);
  tenant = $state("default");
  problem = $state("");

  constructor() {
    setUnauthorizedHandler(() => this.end());
  }

  /** Asks the server who we are. */
  async check(): Promise<void> {
    try {
      const answer = await fetchSession();
      this.user = answer.user;
      this.tenant = answer.tenant;
      setCsrf(answer.csrf);
      this.state = "in";
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.end();
      } else if (this.state !== "in") {
        this.problem = messageOf(error);
        this.state = "unreachable";
      }
    }
  }

  /** Signs in with the token of a one-time link; throws `ApiError` when it is spent or unknown. */
  async redeem(token: string): Promise<void> {
    const { csrf } = await redeemLink(token);
    setCsrf(csrf);
    await this.check();
  }

  async signOut(): Promise<void> {
    await signOut();
    this.end();
  }

  private end(): void {
    this.user = null;
    setCsrf("");
    this.state = "out";
  }
}

export const session = new SessionStore();
