/** For @grpc/proto-loader: what the types beside this file were made with. Written by scripts/gen-proto. */
export const loaderOptions = { longs: Number, enums: String, defaults: true, oneofs: true } as const;
