/** DSSE's pre-authentication encoding (secure-systems-lab/dsse protocol.md, v1.0.2): binds the bytes to their type. */
export const payloadType = 'application/vnd.nixmaker.manifest+json';

/** `"DSSEv1" SP len(type) SP type SP len(body) SP body`, lengths in decimal bytes. */
export function preAuthenticationEncoding(body: Uint8Array, type: string = payloadType): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.length} `;
  return Buffer.concat([Buffer.from(head), body]);
}
