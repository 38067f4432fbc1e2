const secretName = /(password|passwd|passphrase|secret|token|credential|privatekey|apikey)s?$/i;
const passwordInUri = /^([a-z][a-z0-9+.-]*:\/\/[^/:@\s]*):[^/@\s]*@/i;

/** Whether a key's value must not be shown. A key that names a file (`tokenFile`) may be shown. */
const isSecretName = (name: string): boolean => secretName.test(name.replaceAll(/[-_]/g, ""));

/** A copy to print: secret values, and passwords inside URIs, become "[redacted]". */
export function redacted(value: unknown): unknown {
  if (typeof value === "string") return value.replace(passwordInUri, "$1:[redacted]@");
  if (Array.isArray(value)) return value.map(redacted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, unknown]) => {
      const hide = isSecretName(name) && inner !== null && inner !== undefined;
      return [name, hide ? "[redacted]" : redacted(inner)];
    }),
  );
}
