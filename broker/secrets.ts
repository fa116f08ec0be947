/** Secrets and their hashes. What is random has 256 bits, so no hash needs to be slow; what is preset must be long. */
import { createHash, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import { brokerLimits } from "../schema/limits.ts";

/** `mst_` and 43 characters of base64url: 256 bits, and a prefix that secret scanners can look for. */
export function newToken(): string {
  return `mst_${randomBytes(32).toString("base64url")}`;
}

/** 43 characters of base64url: 256 bits. */
export function newPassword(): string {
  return randomBytes(32).toString("base64url");
}

/** Why a preset secret cannot be taken, in one sentence that does not contain it; undefined when it can. */
export function whyNotSecret(what: string, secret: string): string | undefined {
  if (secret.length < brokerLimits.secretCharsMin)
    return `${what} must have at least ${brokerLimits.secretCharsMin} characters; it has ${secret.length}`;
  if (secret.length > brokerLimits.secretCharsMax) return `${what} must have at most ${brokerLimits.secretCharsMax} characters`;
  return /^[\x21-\x7e]+$/.test(secret) ? undefined : `${what} must be printable ASCII without spaces`;
}

/** `sha256:` and 64 hex digits. */
export function hashToken(token: string): string {
  return `sha256:${createHash("sha256").update(token).digest("hex")}`;
}

export const tokenHashPattern = /^sha256:[0-9a-f]{64}$/;

const base64 = "[A-Za-z0-9+/]+={0,2}";
export const clientHashPattern = new RegExp(`^\\$7\\$([1-9][0-9]{0,5})\\$(${base64})\\$(${base64})$`);

/**
 * Mosquitto's own defaults: 101 iterations, a salt of exactly 12 bytes and a hash of 64. Source: mosquitto 2.0,
 * src/password_mosq.h and src/security_default.c, which refuse other lengths.
 */
const iterations = 101;
const saltBytes = 12;
const hashBytes = 64;

/** `$7$<iterations>$<salt>$<hash>`, PBKDF2 with SHA-512, as a line of Mosquitto's password file has it. */
export function hashPassword(password: string): string {
  const salt = randomBytes(saltBytes);
  const hash = pbkdf2Sync(password, salt, iterations, hashBytes, "sha512");
  return `$7$${iterations}$${salt.toString("base64")}$${hash.toString("base64")}`;
}

/** Whether the password has this hash, compared in constant time. False for a hash of another form. */
export function passwordMatches(password: string, stored: string): boolean {
  const parts = clientHashPattern.exec(stored);
  if (!parts) return false;
  const expected = Buffer.from(parts[3] as string, "base64");
  const actual = pbkdf2Sync(password, Buffer.from(parts[2] as string, "base64"), Number(parts[1]), hashBytes, "sha512");
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
