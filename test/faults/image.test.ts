import { shortRun } from "./short-run.ts";

// Each source once, in half of them with a death of the agent.
shortRun("image", 17);
