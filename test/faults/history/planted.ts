import { effectBugs } from "./planted-effects.ts";
import { stateBugs } from "./planted-state.ts";

/** The bugs that the checker must find. */
export const plantedBugs = [...effectBugs, ...stateBugs];
