// Imported only where it is used, since it loads slowly. A direct import("@grpc/grpc-js") would have no named exports in the
// bundle.
export { Client, connectivityState, credentials, Metadata } from "@grpc/grpc-js";
