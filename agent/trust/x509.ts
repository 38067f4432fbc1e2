// The library wants it loaded before itself.
import "reflect-metadata";

// By name: a bundle cannot list the exports of a CommonJS package.
export {
  cryptoProvider,
  PemConverter,
  Pkcs10CertificateRequestGenerator,
  X509Certificate,
  X509Crl,
} from "@peculiar/x509";
