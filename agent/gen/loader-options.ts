/** For @grpc/proto-loader: the options of the types in this directory. Written by scripts/gen-proto. */
export const loaderOptions = { longs: Number, enums: String, defaults: true, oneofs: true } as const;
