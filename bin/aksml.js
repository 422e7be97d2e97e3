#!/usr/bin/env node
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `aksml needs Node 22.19 or later, and this is Node ${process.versions.node} (${process.execPath}). Install a newer Node, then run the command again.`,
  );
  process.exit(2);
}
require('../dist/launch.cjs');
