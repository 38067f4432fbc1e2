import { config } from "zod";

// By default, zod generates and compiles a function for each schema of an object. Most schemas here parse a few values in the life
// of a process, and this was a tenth of the CPU time of the agent's start.
config({ jitless: true });

export * from "zod";
