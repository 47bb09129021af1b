package fault

import "strings"

// InPod reports whether this process is in a container that the kubelet made, whose programs and files are not
// those of the machine. The program's main sets it before the first fault is made; nil is a machine.
var InPod func() bool

// OnNode begins a fix that is carried out on the machine, for a reader whose program runs in a pod: its image may
// hold no other program.
const OnNode = "on the node (kubectl debug node/NODE -it --profile=sysadmin --image=busybox -- chroot /host sh): "

// asOnMachine stands in what follows for the kind's Fix.
const asOnMachine = "{fix}"

const (
	onNode = OnNode + asOnMachine
	byExec = "kubectl exec POD -c CONTAINER -- " + asOnMachine
)

// pods are the fixes in a pod of what is done there in another way than on a machine. A path below /etc/azfilesauth
// is the node's, which all pods have. Rows that are not here ask for nothing of the machine, such as those of az.
var pods = map[*Kind]string{
	HostUnknown.Kind: onNode, TargetInvalid.Kind: onNode, ConfigInvalid.Kind: onNode, ConfigUnsafe.Kind: onNode, UIDUnknown.Kind: onNode,
	IdentityInvalid.Kind: onNode, IdentitySeveral.Kind: onNode, OptionInvalid.Kind: "correct the option in mountOptions: of the volume, or in /etc/fstab of the node",
	OptionRefused.Kind: "remove {option} from mountOptions: of the volume, or from /etc/fstab of the node",
	CCacheType.Kind:    onNode, CCacheFolder.Kind: onNode, CCacheForeign.Kind: onNode, CCachePrincipal.Kind: onNode,
	CCacheDamaged.Kind: onNode, CCacheIO.Kind: onNode, CCacheFought.Kind: onNode, LockTimeout.Kind: onNode,
	TicketUnknown.Kind: byExec, TicketDamaged.Kind: byExec, TokenRefused.Kind: "kubectl exec POD -c CONTAINER -- azfilesauth refresh {host}, which asks for a new token; it must be one of Entra for the audience https://storage.azure.com (no trailing slash) and of the tenant of the account; and compare the clocks of the node and of Azure",
	NotRoot.Kind: "set runAsUser: 0 under securityContext: of the container",

	IMDSUnreachable.Kind: "on an Azure node let firewall and network policies pass 169.254.169.254 port 80 from pods on the network of the node; where that is not allowed use identity=workload; outside of Azure use a service principal, see azfilesauth.yaml(5)",
	IMDSBusy.Kind:        onNode, IMDSForeign.Kind: onNode, ArcUnreachable.Kind: onNode, ArcRefused.Kind: onNode, ArcKey.Kind: "set runAsUser: 0 under securityContext: of the container, and mount the directory of the key from the node",
	AuthorityUnknown.Kind: onNode,
	SecretFile.Kind:       "kubectl describe pod POD shows which Secret is mounted at '{file}': give it the right content, and mount it with defaultMode: 0400",
	TokenFile.Kind:        "kubectl describe pod POD shows what is mounted at '{file}': for a workload identity a projected volume of serviceAccountToken with defaultMode: 0400; below /var/lib/kubelet/plugins the Azure Files CSI driver writes it, and its containers alone see it",
	EntraUnreachable.Kind: onNode, EntraRequest.Kind: byExec,
	EntraSecret.Kind:      "az ad app credential reset --id {client} --append --query password -o tsv, and put that into the Secret that is mounted at '{file}'",
	EntraCertificate.Kind: "put the application's certificate and key into the Secret that is mounted at '{file}'; for a new one: az ad app credential reset --id {client} --append --create-cert",
	EntraAssertion.Kind:   "kubectl describe pod POD: '{file}' must be in a projected volume of serviceAccountToken, which the kubelet rewrites before the token expires; below /var/lib/kubelet/plugins the Azure Files CSI driver writes it: kubectl get csidriver file.csi.azure.com -o yaml must show requiresRepublish: true",
	CLIFailed.Kind:        "the Azure CLI is not in the image: use a managed or a workload identity", CLINotHere.Kind: "the Azure CLI is not in the image: use a managed or a workload identity",

	DNSFailed.Kind: onNode, ProxyFailed.Kind: onNode, EndpointDown.Kind: onNode, EndpointTimeout.Kind: onNode, TLSVersion.Kind: onNode,
	TLSUntrusted.Kind: "add the certificates of the network's authorities to the public ones in one file, and mount that over /etc/ssl/certs/ca-certificates.crt in the container (certificates: in the values of the chart); openssl s_client -connect {host}:443 -servername {host} </dev/null (package openssl), from the network of the node, shows whose certificate it is",
	ClockSkew.Kind:    onNode, AnswerInvalid.Kind: onNode, NotAzure.Kind: onNode, TicketServer.Kind: onNode, TicketExpired.Kind: onNode, TicketNotYet.Kind: onNode, Mechanism.Kind: onNode,

	MountCIFSMissing.Kind: onNode, MountFailed.Kind: onNode, ServerRefused.Kind: onNode, UpcallFailed.Kind: onNode, ShareNotFound.Kind: onNode, CIFSModule.Kind: onNode,
	MountOption.Kind: OnNode + "dmesg | tail names the option; remove it from mountOptions: of the volume", SMBUnreachable.Kind: onNode, SMBProtocol.Kind: onNode,
	TargetBusy.Kind: onNode, Capability.Kind: "set privileged: true under securityContext: of the container", Charset.Kind: onNode,
	MountDenied.Kind:  "set privileged: true under securityContext: of the container; if it stays, the role \"Storage File Data SMB MI Admin\" on {account}",
	OutputFailed.Kind: "check where the output goes", RecordUntrusted.Kind: onNode, IdentityUnknown.Kind: onNode,
	UpcallForeign.Kind: onNode, UpcallChannel.Kind: onNode, UpcallDeadline.Kind: onNode, UpcallHelper.Kind: onNode, UpcallKey.Kind: onNode,

	SetupInclude.Kind: onNode, SetupChanged.Kind: OnNode + "remove by hand what the setup put there; the pod then tries again automatically", SetupFailed.Kind: "fix that; the pod then tries again automatically",
	SetupProgram.Kind: "use the image of make images, or one built by packaging/kubernetes/Dockerfile", SetupTool.Kind: onNode, ServiceFailed.Kind: onNode, BundleFailed.Kind: "give another place with -o FILE, such as one below /run/azfilesauth",

	OpenFiles.Kind:   OnNode + "cat /proc/sys/fs/file-nr; for the daemon: kubectl delete pod POD, whose DaemonSet makes another",
	OutOfMemory.Kind: "kubectl describe node NODE, under Allocated resources and Conditions; where the pod's own limit is hit, raise resources: of the chart or of the manifest",
	FileLimit.Kind:   "raise LimitFSIZE= of the service of the node's container runtime, then kubectl delete pod POD, whose DaemonSet makes another",
	Inotify.Kind:     onNode, RunDir.Kind: "mount the node's '{dir}' into the container as a volume of type hostPath, writable; whether it is full: df -h '{dir}' on the node",
	MountTable.Kind: "the chart's daemon reads /proc/1/mountinfo, which needs hostPID: true; the driver's needs none: kubectl describe pod POD",
}

// fix is the text of the kind's fix where this process runs, with its places.
func (k *Kind) fix() string {
	if in, other := pods[k]; other && InPod != nil && InPod() {
		return strings.Replace(in, asOnMachine, k.Fix, 1)
	}
	return k.Fix
}
