/** Names of keys: what Nix puts before the colon. */
const keyName = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,126}$/;
export const isKeyName = (text: string): boolean => keyName.test(text);
