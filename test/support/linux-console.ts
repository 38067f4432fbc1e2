import { bootedMarker } from "./guest.ts";
import { eventually } from "./wait.ts";

/** Of the shell on the console of the test's Linux guest. */
export const PROMPT = "guest# ";

const ENTER = Buffer.from("\r");
const AGAIN_MS = 2000;

/** Whether the output of a Linux guest shows that it has booted. */
export const isUp = (printed: string): boolean => printed.includes(bootedMarker) || printed.includes(PROMPT);

/**
 * Types Enter again and again, which the guest's shell answers: a guest's output before its console is open is lost. Returns what
 * ends it.
 */
export function typeEnter(type: (input: Buffer) => unknown): () => void {
  const timer = setInterval(() => void type(ENTER), AGAIN_MS);
  return () => clearInterval(timer);
}

/** Waits until a Linux guest has booted. */
export async function untilUp(printed: () => string, type: (input: Buffer) => unknown): Promise<void> {
  const end = typeEnter(type);
  try {
    await eventually(() => isUp(printed()), { what: "the guest's output", timeoutMs: 120_000 });
  } finally {
    end();
  }
}
