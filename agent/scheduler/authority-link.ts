import { createHash, X509Certificate } from "node:crypto";
import { connect, createSecureContext, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";
import { Client, credentials, status, type ServiceError } from "@grpc/grpc-js";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import { identityOf } from "../trust/index.ts";

const callTimeoutMs = 15_000;
const helloTimeoutMs = 10_000;

interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/**
 * Asks the authority at `address`, over TLS 1.3, whose server must show a scheduler's certificate of `domain` that is of
 * one of `authoritiesPem`. Throws `unavailable` AUTHORITY_UNREACHABLE, and `denied` ENROLLMENT_REFUSED in its words.
 */
export async function askAuthority<Request, Response>(
  to: { readonly address: string; readonly authoritiesPem: string; readonly domain: string },
  method: Method<Request, Response>,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const checkServerIdentity = (_address: string, { raw }: PeerCertificate): Error | undefined => {
    try {
      const { uri, role, domain, tenant } = identityOf(new X509Certificate(raw).subjectAltName);
      if (role === "scheduler" && domain === to.domain && tenant === undefined) return undefined;
      return new SocleError("denied", "CERTIFICATE_ROLE", `${uri} is no scheduler of ${to.domain}`);
    } catch (thrown) {
      return toSocleError(thrown);
    }
  };
  const context = createSecureContext({ ca: to.authoritiesPem, minVersion: "TLSv1.3" });
  const client = new Client(
    to.address,
    credentials.createFromSecureContext(context, { checkServerIdentity }),
    {
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_channelz": 0,
      "grpc.use_local_subchannel_pool": 1,
    },
  );
  try {
    return await new Promise<Response>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline: Date.now() + callTimeoutMs },
        (error: ServiceError | null, response?: Response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(refusalOf(to.address, error));
        },
      );
      if (signal.aborted) call.cancel();
      else signal.addEventListener("abort", () => call.cancel(), { once: true });
    });
  } finally {
    client.close();
  }
}

/**
 * The authority that stands behind whoever answers at `address`, if it is the one with this fingerprint: PEM. Nothing is
 * said to the other side before. Throws `denied` AUTHORITY_UNKNOWN for another, `unavailable` AUTHORITY_UNREACHABLE.
 */
export async function authorityAt(address: string, fingerprint: string): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const chain = await new Promise<DetailedPeerCertificate>((resolve, reject) => {
    // Who answers is checked below, by the fingerprint alone: there is nobody to check it by yet.
    const socket = connect({
      host,
      port: Number(address.slice(colon + 1)),
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
    });
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(unreachable(address, cause.message, cause));
    };
    socket.setTimeout(helloTimeoutMs, () => fail(new Error("no answer")));
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerCertificate(true);
      socket.destroy();
      resolve(certificate);
    });
  });
  const found = new X509Certificate(issuerIn(chain).raw);
  if (createHash("sha256").update(found.raw).digest("hex") === fingerprint) return found.toString();
  const message = `whoever answers at ${address} is not of the authority that the token names: check the address, and who stands between`;
  throw new SocleError("denied", "AUTHORITY_UNKNOWN", message);
}

/** The end of the chain that was shown. */
function issuerIn(certificate: DetailedPeerCertificate): DetailedPeerCertificate {
  // One that signed itself is its own issuer; one whose issuer was not shown has none, whatever the type says.
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
    `no authority answers at ${address}: ${why}; is it there, and in the unit's IPAddressAllow=?`,
    {
      cause,
    },
  );
