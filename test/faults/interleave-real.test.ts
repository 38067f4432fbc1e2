import { shortRun } from "./short-run.ts";

shortRun("interleave", 2000, { part: "real" });
