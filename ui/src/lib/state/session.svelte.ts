/** Who is signed in. */
import { ApiError, messageOf, setCsrf, setUnauthorizedHandler } from "../api/client";
import * as api from "../api/account";
import { missing, type Need } from "../account/permissions";

export type SessionState = "checking" | "in" | "out" | "unreachable";

class SessionStore {
  state = $state<SessionState>("checking");
  user = $state.raw<api.Session["user"] | null>(null);
  tenant = $state.raw<api.Session["tenant"]>({ id: "default", name: "default", state: "active" });
  permissions = $state.raw<readonly string[]>([]);
  secondFactor = $state(false);
  method = $state("");
  problem = $state("");

  constructor() {
    setUnauthorizedHandler(() => this.end());
  }

  /** Asks the server who we are. */
  async check(): Promise<void> {
    try {
      const answer = await api.fetchSession();
      this.user = answer.user;
      this.tenant = answer.tenant;
      this.permissions = answer.permissions;
      this.secondFactor = answer.second_factor;
      this.method = answer.method;
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
    await this.begun(api.redeemLink(token));
  }

  /** Signs in with a password; throws `ApiError`, whose code says what is missing. */
  async signIn(credentials: api.Credentials): Promise<void> {
    await this.begun(api.signIn(credentials));
  }

  /** Takes an invitation up; throws `ApiError`. */
  async accept(token: string, name: string, password: string): Promise<void> {
    await this.begun(api.acceptOffer(token, name, password));
  }

  /** True when the session may do what is needed: a permission, or one of several. */
  can(need: Need): boolean {
    return missing(need, this.permissions).length === 0;
  }

  async signOut(): Promise<void> {
    await api.signOut();
    this.end();
  }

  private async begun(answer: Promise<{ csrf: string }>): Promise<void> {
    setCsrf((await answer).csrf);
    await this.check();
  }

  private end(): void {
    this.user = null;
    this.permissions = [];
    setCsrf("");
    this.state = "out";
  }
}

export const session = new SessionStore();
