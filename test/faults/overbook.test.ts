import { shortRun } from "./short-run.ts";

shortRun("overbook", 300);
