// Imported only where it is used, since it loads slowly. A direct import("yaml") would have no named exports in the bundle.
export { parse, stringify } from "yaml";
