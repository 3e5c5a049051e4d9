// SPDX-License-Identifier: Apache-2.0
// firmware.js: runs tests/firmware.c as WebAssembly; put_char is all that the module imports.
const fs = require('fs');
let text = '';
const imports = { env: { put_char: (c) => { text += String.fromCharCode(c); } } };
const wasm = new WebAssembly.Module(fs.readFileSync(process.argv[2]));
const asked = WebAssembly.Module.imports(wasm).map((i) => i.name).join(' ');
const status = asked === 'put_char' ? new WebAssembly.Instance(wasm, imports).exports.main(0, 0) : 9;
process.stdout.write(asked === 'put_char' ? text : 'imports ' + asked + '\n');
process.exitCode = status;
