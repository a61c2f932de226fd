/** Keys and signatures at their bounds: one byte less, one more, one field changed. Nothing is started for it. */
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBase64, decodeBase64OfAnyLength } from '../../src/signing/base64.ts';
import { generateKeyPair, parsePublicKey, parseSecretKey } from '../../src/signing/nix-key.ts';
import { parseSshKey } from '../../src/signing/ssh-key.ts';
import { verifySshSignature } from '../../src/signing/ssh-signature.ts';
import { WireReader, wireString } from '../../src/signing/ssh-wire.ts';
import { sshPairs } from '../fuzz/targets/signing.ts';
import { fixedKey } from '../fuzz/targets/target.ts';
import { refusal } from '../support/refusal.ts';

test('base64 of as many bytes as there may be is read, of one more or none it is not', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(40), (bytes, most) => {
      const text = Buffer.from(bytes).toString('base64');
      const expected = bytes.length > 0 && bytes.length <= most ? Buffer.from(bytes) : undefined;
      assert.deepEqual(decodeBase64OfAnyLength(text, most), expected);
      const exactly = bytes.length > 0 && bytes.length === most ? Buffer.from(bytes) : undefined;
      assert.deepEqual(decodeBase64(text, most), exactly);
    }),
  );
});

test('what SSH sends is read field by field, to its last byte and no further', () => {
  const fail = (detail: string) => new RangeError(detail);
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 6 }), { maxLength: 4 }),
      fc.nat(0xffffffff),
      (fields, n) => {
        const number = Buffer.alloc(4);
        number.writeUInt32BE(n);
        const whole = Buffer.concat([...fields.map((f) => wireString(f)), number]);
        const read = (bytes: Buffer) => {
          const wire = new WireReader(bytes, fail);
          const found = [fields.map(() => wire.string()), wire.uint32()] as const;
          wire.end();
          return found;
        };
        assert.deepEqual(read(whole), [fields.map((f) => Buffer.from(f)), n]);
        for (let end = 0; end < whole.length; end++)
          assert.throws(() => read(whole.subarray(0, end)), /^RangeError: it ends too early$/);
        assert.throws(() => read(Buffer.concat([whole, Buffer.alloc(1)])), /it has stray bytes at its end/);
      },
    ),
    { numRuns: 60 },
  );
});

test('a Nix key has a name, a colon and its bytes, and at most one newline after them', () => {
  const pair = generateKeyPair('ci-1');
  const encoded = pair.public.slice('ci-1:'.length);
  assert.equal(parsePublicKey(`${pair.public}\n`).material, encoded);
  assert.equal(parseSecretKey(`${pair.secret}\n`).publicKey.material, encoded);
  const none = 'key-malformed: a public key has the form name:base64';
  const unread = (name: string) => `key-malformed: the public key “${name}” is not 32 bytes in base64`;
  for (const [text, said] of [
    [encoded, none],
    [`:${encoded}`, none],
    ['', none],
    ['ci-1:', unread('ci-1')],
    [`${pair.public}\n\n`, unread('ci-1')],
    [`ci-1:${Buffer.alloc(31, 5).toString('base64')}`, unread('ci-1')],
    [`ci-1:${Buffer.alloc(33, 5).toString('base64')}`, unread('ci-1')],
    [`c:${encoded}:`, unread('c')],
  ] as const)
    assert.equal(
      refusal(() => parsePublicKey(text)),
      said,
      text,
    );
  const named = (name: string) => refusal(() => parsePublicKey(`${name}:${encoded}`)) ?? '';
  const has = 'has characters other than letters, digits, dots, dashes, plus signs and underscores';
  assert.equal(named('a b'), `key-malformed: the name of the public key, “a b”, ${has}`);
  assert.ok(named(`ä${'x'.repeat(200)}`).includes(`“ä${'x'.repeat(127)}”`), named(`ä${'x'.repeat(200)}`));
  assert.equal(named('x'.repeat(127)), '');
  assert.notEqual(named('x'.repeat(128)), '');
  assert.match(
    refusal(() => generateKeyPair('a b')) ?? '',
    /^key-malformed: a key name may only have letters/,
  );
});

test('every point of small order is refused as a key, whatever its sign bit; a byte more or less is none', () => {
  // RFC 8032 §5.1.3 and libsodium’s list; 2^255 − 19 and what is beyond stand for the small ones once more.
  const points = [
    ...['00', '01'].map((first) => first + '00'.repeat(31)),
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    ...['ec', 'ed', 'ee'].map((first) => `${first}${'ff'.repeat(30)}7f`),
  ];
  for (const hex of points)
    for (const sign of [0, 0x80]) {
      const raw = Buffer.from(hex, 'hex');
      raw[31] = (raw[31] ?? 0) | sign;
      const nix = refusal(() => parsePublicKey(`k:${raw.toString('base64')}`));
      assert.match(nix ?? '', /the public key “k” is a point of small order: anyone could sign for it/);
      const blob = Buffer.concat([wireString('ssh-ed25519'), wireString(raw)]);
      assert.match(refusal(() => parseSshKey(`ssh-ed25519 ${blob.toString('base64')}`)) ?? '', /small order/);
    }
  for (const length of [31, 33]) {
    const blob = Buffer.concat([wireString('ssh-ed25519'), wireString(Buffer.alloc(length, 5))]);
    assert.equal(
      refusal(() => parseSshKey(`ssh-ed25519 ${blob.toString('base64')}`)),
      'key-malformed: the public key SSH does not have 32 bytes',
    );
  }
});

const { person, token, curve } = sshPairs;
const blobOf = (line: string) => Buffer.from(line.split(' ')[1] ?? '', 'base64');
const message = Buffer.from('what was signed');

test('an SSH key is of the type that stands before it, has all its fields, and none more', () => {
  for (const { line } of [person, token, curve]) {
    const [type = ''] = line.split(' ');
    const spelt = (blob: Buffer) => refusal(() => parseSshKey(`${type} ${blob.toString('base64')}`));
    const blob = blobOf(line);
    assert.equal(spelt(blob), undefined);
    assert.match(spelt(Buffer.concat([blob, Buffer.alloc(1)])) ?? '', /stray bytes at its end/);
    for (const end of [0, 3, 10, blob.length - 1])
      assert.match(spelt(blob.subarray(0, end)) ?? '', /^key-malformed: /, String(end));
    const other = Buffer.from(blob);
    other[6] = (other[6] ?? 0) ^ 1;
    assert.match(spelt(other) ?? '', /its two key types differ/);
  }
  assert.match(refusal(() => parseSshKey('ssh-ed25519 !')) ?? '', /it is not base64/);
  assert.match(refusal(() => parseSshKey('')) ?? '', /SSH keys of type “” are not supported/);
  // Spaces, and what a person has written behind it, are no part of a key.
  const [type, base64] = person.line.split(' ');
  assert.deepEqual(parseSshKey(`  ${type}   ${base64}   anna at  home `).blob, blobOf(person.line));
});

test('a key on P-256 is a point on that curve, written out', () => {
  const at = blobOf(curve.line).length - 65;
  const spelt = (change: (blob: Buffer) => Buffer) =>
    refusal(() => parseSshKey(`ecdsa-sha2-nistp256 ${change(blobOf(curve.line)).toString('base64')}`)) ?? '';
  const turned = (offset: number) => (blob: Buffer) => {
    blob[offset] = (blob[offset] ?? 0) ^ 1;
    return blob;
  };
  assert.match(spelt(turned(at)), /it is not a point on P-256$/, 'another form than uncompressed');
  assert.match(spelt(turned(at + 64)), /an SSH key is not a point on P-256$/, 'beside the curve');
  assert.match(spelt(turned(at - 5)), /it is on a different curve than its type says/);
  const short = (blob: Buffer) =>
    Buffer.concat([blob.subarray(0, at - 4), wireString(blob.subarray(at, -1))]);
  assert.match(spelt(short), /it is not a point on P-256$/);
});

/** A signature by the curve’s key whose numbers are spelt in a way of our own. */
function curveSignature(spell: (number: Buffer) => readonly Buffer[], more: readonly Buffer[] = []): Buffer {
  const genuine = curve.sign(message);
  const wire = new WireReader(genuine, () => new Error('genuine'));
  const before = [wire.bytes(10), ...Array.from({ length: 4 }, () => wireString(wire.string()))];
  const inner = new WireReader(wire.string(), () => new Error('genuine'));
  const kind = wireString(inner.string());
  const numbers = new WireReader(inner.string(), () => new Error('genuine'));
  const spelt = [numbers.string(), numbers.string()].flatMap(spell);
  const value = wireString(Buffer.concat([...spelt.map((n) => wireString(n)), ...more]));
  return Buffer.concat([...before, wireString(Buffer.concat([kind, value]))]);
}

test('the numbers of a signature on P-256 may have a zero before them, or none of their zeros, and nothing else', () => {
  const key = parseSshKey(curve.line);
  const counts = (signature: Buffer) => verifySshSignature(key, message, signature);
  const plain = (n: Buffer) => {
    let from = 0;
    while (n[from] === 0) from += 1;
    return n.subarray(from);
  };
  for (let n = 0; n < 4; n++) {
    assert.equal(counts(curveSignature((x) => [x])), true);
    assert.equal(counts(curveSignature((x) => [plain(x)])), true);
    assert.equal(counts(curveSignature((x) => [Buffer.concat([Buffer.alloc(1), plain(x)])])), true);
    assert.equal(counts(curveSignature((x) => [Buffer.concat([Buffer.alloc(1, 1), plain(x)])])), false);
  }
  assert.equal(counts(curveSignature((x) => [x, x])), false);
  assert.equal(counts(curveSignature((x) => [x], [Buffer.alloc(1)])), false);
  assert.equal(counts(curveSignature(() => [])), false);
  assert.equal(counts(curveSignature(() => [Buffer.alloc(0)])), false);
});

/** Numbers with zeros before them come once in 256 signatures: they are looked for. */
test('a number that is short has its zeros put back before it', () => {
  const secret = createHash('sha256').update('nixmaker short numbers').digest();
  const der = Buffer.concat([
    ...[Buffer.from('30310201010420', 'hex'), secret, Buffer.from('a00a06082a8648ce3d030107', 'hex')],
  ]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'sec1' });
  const point = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-65);
  const blob = Buffer.concat(['ecdsa-sha2-nistp256', 'nistp256', point].map((f) => wireString(f)));
  const trusted = parseSshKey(`ecdsa-sha2-nistp256 ${blob.toString('base64')}`);
  const over = Buffer.concat([
    Buffer.from('SSHSIG'),
    ...['nixmaker', '', 'sha256', createHash('sha256').update(message).digest()].map((f) => wireString(f)),
  ]);
  let found: Buffer | undefined;
  for (let n = 0; n < 20_000 && found === undefined; n++) {
    const rs = sign('sha256', over, { key, dsaEncoding: 'ieee-p1363' });
    if (rs[0] === 0 || rs[32] === 0) found = rs;
  }
  assert.ok(found !== undefined);
  const short = (n: Buffer) => wireString(n[0] === 0 ? n.subarray(1) : n);
  const value = wireString(Buffer.concat([short(found.subarray(0, 32)), short(found.subarray(32))]));
  const inner = Buffer.concat([wireString('ecdsa-sha2-nistp256'), value]);
  const signature = Buffer.concat([
    Buffer.from('SSHSIG\0\0\0\x01', 'latin1'),
    ...[blob, 'nixmaker', '', 'sha256', inner].map((f) => wireString(f)),
  ]);
  assert.equal(verifySshSignature(trusted, message, signature), true);
});

test('a token counts by one bit of its flags, whatever the others are', () => {
  const signature = token.sign(message);
  const key = parseSshKey(token.line);
  assert.equal(verifySshSignature(key, message, signature), true);
  // Flags and counter are signed: any other is none.
  for (let at = signature.length - 5; at < signature.length; at++) {
    const other = Buffer.from(signature);
    other[at] = (other[at] ?? 0) ^ 2;
    assert.equal(verifySshSignature(key, message, other), false);
  }
});

test('each field of an SSH signature is looked at: version, purpose, reserve, hash', () => {
  const key = parseSshKey(person.line);
  const genuine = person.sign(message);
  const wire = new WireReader(genuine, () => new Error('genuine'));
  const magic = wire.bytes(6);
  const version = wire.uint32();
  const fields = [wire.string(), wire.string(), wire.string(), wire.string(), wire.string()] as const;
  const build = (changes: { magic?: Buffer; version?: number; fields?: readonly (Buffer | string)[] }) => {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(changes.version ?? version);
    return Buffer.concat([
      changes.magic ?? magic,
      number,
      ...(changes.fields ?? fields).map((f) => wireString(f)),
    ]);
  };
  const [blob, namespace, reserved, hash, value] = fields;
  assert.equal(verifySshSignature(key, message, build({})), true);
  for (const wrong of [
    build({ magic: Buffer.from('SSHSIH') }),
    build({ version: 2 }),
    build({ version: 0 }),
    build({ fields: [blobOf(token.line), namespace, reserved, hash, value] }),
    build({ fields: [blob, 'git', reserved, hash, value] }),
    build({ fields: [blob, namespace, 'x', hash, value] }),
    build({ fields: [blob, namespace, reserved, 'sha1', value] }),
    build({ fields: [blob, namespace, reserved, 'sha256', value] }),
    build({ fields: [blob, namespace, reserved, hash] }),
    build({ fields: [...fields, ''] }),
    Buffer.alloc(0),
  ])
    assert.equal(verifySshSignature(key, message, wrong), false);
});

test('what a key has signed with something in reserve is none: nobody knows what it may mean', () => {
  const key = fixedKey('person-1');
  const signedWith = (reserved: string) => {
    const digest = createHash('sha512').update(message).digest();
    const parts = ['nixmaker', reserved, 'sha512', digest].map((f) => wireString(f));
    const raw = Buffer.from(key.sign(Buffer.concat([Buffer.from('SSHSIG'), ...parts])), 'base64');
    const inner = Buffer.concat(['ssh-ed25519', raw].map((f) => wireString(f)));
    const fields = [blobOf(person.line), 'nixmaker', reserved, 'sha512', inner].map((f) => wireString(f));
    return Buffer.concat([Buffer.from('SSHSIG\0\0\0\x01', 'latin1'), ...fields]);
  };
  const trusted = parseSshKey(person.line);
  assert.equal(verifySshSignature(trusted, message, signedWith('')), true);
  assert.equal(verifySshSignature(trusted, message, signedWith('x')), false);
});

test('a fault of a program of ours is no “no”: it is thrown', () => {
  const broken = { ...parseSshKey(person.line), verifies: () => assert.fail('broken') };
  assert.throws(() => verifySshSignature(broken, message, person.sign(message)), /broken/);
});
