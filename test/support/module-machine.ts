/** Machines with services.nixmaker, as operators write them, for the tests of the module. */

export const moduleKey = 'fleet-1:G4On3LlFSVMH4IUKGpTV8XAzBBDZuiyID7K1VJmWgAc=';

/** A person’s: the line of a `.pub` file (RFC 8709 §4), of bytes of no meaning. */
export const moduleSshKey = `anna:ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)]).toString('base64')} anna`;

/** A machine that trusts these keys, with further options below services.nixmaker and beside it. */
export const moduleMachine = (options = '', { keys = `"${moduleKey}"`, others = '' } = {}) =>
  `{ lib, pkgs, ... }: { services.nixmaker = { enable = true; trustedPublicKeys = [ ${keys} ]; ${options} }; ${others} }`;
