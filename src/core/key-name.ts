/** Names of keys, as Nix has them before the colon. */
const keyName = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,126}$/;
export const isKeyName = (text: string): boolean => keyName.test(text);
