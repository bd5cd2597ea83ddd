/** Plugins that a stock CoreDNS is built with. */
export const plugins = new Set([
  ...['root', 'metadata', 'geoip', 'cancel', 'proxyproto', 'quic', 'grpc_server', 'https', 'https3', 'timeouts'],
  ...['multisocket', 'reload', 'nsid', 'bufsize', 'bind', 'debug', 'trace', 'ready', 'health', 'pprof', 'shed'],
  ...['prometheus', 'errors', 'log', 'dnstap', 'local', 'dns64', 'any', 'chaos', 'loadbalance', 'tsig', 'rewrite'],
  ...['autopath', 'acl', 'cache', 'header', 'dnssec', 'tls', 'minimal', 'template', 'transfer', 'hosts', 'route53'],
  ...[
    'azure',
    'clouddns',
    'k8s_external',
    'kubernetes',
    'file',
    'auto',
    'secondary',
    'etcd',
    'loop',
    'forward',
    'grpc',
  ],
  ...['erratic', 'whoami', 'on', 'sign', 'view', 'nomad', 'startup', 'shutdown'],
]);

/** Query types that an acl takes: upper case only. */
export const aclTypes = new Set(
  (
    'A AAAA AFSDB AMTRELAY ANY APL ATMA AVC AXFR CAA CDNSKEY CDS CERT CNAME CSYNC DHCID DLV DNAME DNSKEY DS EID EUI48 ' +
    'EUI64 GID GPOS HINFO HIP HTTPS IPSECKEY ISDN IXFR KEY KX L32 L64 LOC LP MAILA MAILB MB MD MF MG MINFO MR MX NAPTR ' +
    'NID NIMLOC NINFO NS NSAP-PTR NSEC NSEC3 NSEC3PARAM NULL NXNAME NXT OPENPGPKEY OPT PTR PX RESINFO RKEY RP RRSIG RT ' +
    'Reserved SIG SMIMEA SOA SPF SRV SSHFP SVCB TA TALINK TKEY TLSA TSIG TXT UID UINFO UNSPEC URI X25 ZONEMD'
  ).split(' '),
);
