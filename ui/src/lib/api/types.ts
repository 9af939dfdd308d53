/** Shapes of the HTTP API, generated from its description, which is generated from the server's code. */
import type { components } from "./schema";

/** Answers and bodies by name, as `docs/openapi.json` has them. */
export type Schemas = components["schemas"];
