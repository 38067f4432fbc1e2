// The library wants it loaded before itself.
import "reflect-metadata";

export * from "@peculiar/x509";
