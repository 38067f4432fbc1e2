import { changeBugs } from "./planted-changes.ts";
import { effectBugs } from "./planted-effects.ts";
import { stateBugs } from "./planted-state.ts";

/** The bugs that the checker must find. */
export const plantedBugs = [...effectBugs, ...stateBugs, ...changeBugs];
