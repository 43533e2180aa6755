"""`/bin/k3s` of the lab's node image: a stand-in for k3s 1.34 … 1.37 under k3d 5.9, not k3s.

No package registry has k3s. This starts the real, upstream etcd, kube-apiserver,
kube-controller-manager, kube-scheduler, containerd, kubelet and kube-proxy as separate processes;
k3s runs all of them but containerd in one process.

What it does like k3s (the named files are in pkg/ of k3s-io/k3s):
- A `--kubelet-arg=config=FILE` is copied to `kubelet.conf.d/10-cli-config.conf`, and the kubelet
  runs with `--config-dir` over that folder; k3s' own settings are `00-k3s-defaults.conf` in it
  (daemons/agent/agent.go, from 1.32). Stale files there are never removed.
- Any other `--kubelet-arg=key=value`, and a `--kube-apiserver-arg`, replaces the default for that
  key; `key` alone means `true` (util/args.go).
- `CONTAINERD_X=…` reaches containerd alone, as `X`, and overrides an inherited `X`
  (agent/containerd/containerd.go). All other variables, OTEL_* included, reach every process.
  containerd is found on PATH, logs to a file, and loads `agent/images/*.tar` once it runs.
- Paths, default arguments, PATH, the log lines that k3d waits for, `level=fatal` as the last line
  before a non-zero exit, and the kubeconfig at K3S_KUBECONFIG_OUTPUT.

What it does differently:
- The cluster's certificate authority is derived from the token, so a node that has the token makes
  its own certificates and no join service is needed. As with k3s' server token, which k3d gives to
  all nodes, anyone who has it controls the cluster.
- A single server has etcd too, instead of kine on SQLite; a server that joins is a voting member at
  once, and none leaves the cluster. An agent knows the first server alone.
- Routes between nodes instead of flannel.
- No CoreDNS (pods use the node's resolver), traefik, servicelb, metrics-server, local-storage,
  network policy, and no deploy controller: `--disable` of those is accepted and changes nothing.
- Every argument, K3S_ variable and file that is not listed here is refused: in k3s it would have an
  effect that is missing here.
"""
