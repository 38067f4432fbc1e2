import { createHash, X509Certificate } from "node:crypto";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { Client, status, type ServiceError } from "@grpc/grpc-js";
import type { Clock } from "../kernel/clock.ts";
import { SocleError } from "../kernel/errors.ts";
import type { PeerRules } from "../trust/index.ts";
import { channelOptions, checkedCredentials } from "./credentials.ts";

const callTimeoutMs = 15_000;
const helloTimeoutMs = 10_000;

interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

interface AuthorityPlace {
  readonly address: string;
  readonly authoritiesPem: string;
  /** Checks its certificate, revocation included, before anything is sent and again before the answer is used. */
  readonly rules: () => PeerRules;
  readonly clock: Clock;
}

/**
 * Calls the authority over TLS 1.3. Its server must show a scheduler's certificate by `rules`, issued by one of
 * `authoritiesPem`. Throws `unavailable` AUTHORITY_UNREACHABLE, `denied` ENROLLMENT_REFUSED with its message, and `denied`
 * as `peerOf` for its certificate.
 */
export async function askAuthority<Request, Response>(
  to: AuthorityPlace,
  method: Method<Request, Response>,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const contact = checkedCredentials({ ca: to.authoritiesPem, minVersion: "TLSv1.3" }, to.rules, to.clock);
  const client = new Client(to.address, contact.channel, channelOptions);
  try {
    const response = await new Promise<Response>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline: Date.now() + callTimeoutMs },
        (error: ServiceError | null, response?: Response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(contact.refusal ?? refusalOf(to.address, error));
        },
      );
      if (signal.aborted) call.cancel();
      else signal.addEventListener("abort", () => call.cancel(), { once: true });
    });
    contact.requireStillValid();
    return response;
  } finally {
    client.close();
  }
}

/**
 * The authority of the server at `address`, in PEM, if it has this fingerprint. Nothing is sent before that check. Throws
 * `denied` AUTHORITY_UNKNOWN for another, `unavailable` AUTHORITY_UNREACHABLE.
 */
export async function authorityAt(address: string, fingerprint: string): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const chain = await new Promise<DetailedPeerCertificate>((resolve, reject) => {
    // Only the fingerprint authenticates the server, below: no authority is known yet.
    const socket = connect({
      host,
      port: Number(address.slice(colon + 1)),
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
    });
    const fail = (cause: Error): void => {
      clearTimeout(late);
      socket.destroy();
      reject(unreachable(address, cause.message, cause));
    };
    // A deadline for the whole answer: a server that sends a byte now and then is never idle.
    const late = setTimeout(() => fail(new Error("no answer")), helloTimeoutMs);
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      clearTimeout(late);
      const certificate = socket.getPeerCertificate(true);
      socket.destroy();
      resolve(certificate);
    });
  });
  const found = new X509Certificate(issuerIn(chain).raw);
  if (createHash("sha256").update(found.raw).digest("hex") === fingerprint) return found.toString();
  const message = `the server at ${address} is not of the authority that the token names: check the address, and proxies in between`;
  throw new SocleError("denied", "AUTHORITY_UNKNOWN", message);
}

/** The last certificate of the chain. */
function issuerIn(certificate: DetailedPeerCertificate): DetailedPeerCertificate {
  // A self-signed one is its own issuer; one whose issuer was not sent has none, despite the type.
  let at: DetailedPeerCertificate = certificate;
  for (let depth = 0; depth < 8; depth += 1) {
    const issuer = at.issuerCertificate as DetailedPeerCertificate | undefined;
    if (issuer === undefined || issuer === at) break;
    at = issuer;
  }
  return at;
}

function refusalOf(address: string, error: ServiceError | null): SocleError {
  if (error === null) return unreachable(address, "no answer");
  const isRefusal = [status.PERMISSION_DENIED, status.UNAUTHENTICATED, status.INVALID_ARGUMENT].includes(
    error.code,
  );
  if (!isRefusal) return unreachable(address, error.details, error);
  const message = `the authority refuses this host: ${error.details}`;
  return new SocleError("denied", "ENROLLMENT_REFUSED", message, { cause: error });
}

const unreachable = (address: string, why: string, cause?: unknown): SocleError =>
  new SocleError(
    "unavailable",
    "AUTHORITY_UNREACHABLE",
    `no authority answers at ${address}: ${why}; check that it runs, and the unit's IPAddressAllow=`,
    { cause },
  );
