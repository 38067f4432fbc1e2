/** A public key without a private one. */
export const publicKey =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIJ9fBAa1gZVt3DTBZBUZdRMRlaW7+2XaIlZ91mZ/nCK ada@example.com";
