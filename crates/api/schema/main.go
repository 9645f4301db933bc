// Prints the schema table: one line per Go struct that a served kind reaches, one line per JSON field.
// The columns are explained in ../src/schema/table.rs, which reads them.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscaling "k8s.io/api/autoscaling/v1"
	batch "k8s.io/api/batch/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var roots = []any{
	core.Namespace{}, core.NamespaceList{}, core.Node{}, core.NodeList{}, core.Pod{}, core.PodList{}, core.Binding{},
	core.Service{}, core.ServiceList{}, core.Endpoints{}, core.EndpointsList{}, core.Event{}, core.EventList{},
	core.ConfigMap{}, core.ConfigMapList{}, core.Secret{}, core.SecretList{}, core.ServiceAccount{}, core.ServiceAccountList{},
	core.PodTemplate{}, core.PodTemplateList{}, scheduling.PriorityClass{}, scheduling.PriorityClassList{},
	core.ResourceQuota{}, core.ResourceQuotaList{}, core.PersistentVolumeClaim{}, core.PersistentVolumeClaimList{},
	discovery.EndpointSlice{}, discovery.EndpointSliceList{},
	networking.ServiceCIDR{}, networking.ServiceCIDRList{}, networking.IPAddress{}, networking.IPAddressList{},
	apps.Deployment{}, apps.DeploymentList{}, apps.ReplicaSet{}, apps.ReplicaSetList{},
	apps.ControllerRevision{}, apps.ControllerRevisionList{}, apps.StatefulSet{}, apps.StatefulSetList{},
	apps.DaemonSet{}, apps.DaemonSetList{}, batch.Job{}, batch.JobList{},
	autoscaling.Scale{}, events.Event{}, events.EventList{}, coordination.Lease{}, coordination.LeaseList{},
	authorization.SelfSubjectAccessReview{}, authorization.SubjectAccessReview{}, authorization.LocalSubjectAccessReview{},
	authorization.SelfSubjectRulesReview{}, authentication.SelfSubjectReview{}, authentication.TokenReview{},
	authentication.TokenRequest{}, policy.Eviction{}, policy.PodDisruptionBudget{}, policy.PodDisruptionBudgetList{},
	rbac.ClusterRole{}, rbac.ClusterRoleList{}, rbac.ClusterRoleBinding{}, rbac.ClusterRoleBindingList{},
	rbac.Role{}, rbac.RoleList{}, rbac.RoleBinding{}, rbac.RoleBindingList{},
	meta.DeleteOptions{}, meta.Status{}, meta.ObjectMeta{}, meta.ListMeta{}, meta.LabelSelector{},
}

// property is what OpenAPI knows of a field.
type property struct {
	Default  json.RawMessage `json:"default"`
	Enum     []string        `json:"enum"`
	ListType string          `json:"x-kubernetes-list-type"`
	ListKeys []string        `json:"x-kubernetes-list-map-keys"`
	MapType  string          `json:"x-kubernetes-map-type"`
	Items    *property       `json:"items"`
}

// definition is what OpenAPI knows of a struct.
type definition struct {
	property
	Properties map[string]property `json:"properties"`
	Required   []string            `json:"required"`
}

func main() {
	openapi := map[string]definition{}
	for _, file := range os.Args[1:] {
		read(file, openapi)
	}
	types := map[string]reflect.Type{}
	for _, root := range roots {
		reach(reflect.TypeOf(root), types)
	}
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		known, found := openapi[name]
		if !found {
			known = openapi[embedders[name]]
		}
		printStruct(name, types[name], known)
	}
}

// embedders has for an embedded struct the struct it is embedded in: OpenAPI knows its fields only there.
var embedders = map[string]string{}

func read(file string, into map[string]definition) {
	data, err := os.ReadFile(file)
	must(err)
	var document struct {
		Components struct{ Schemas map[string]definition }
	}
	must(json.Unmarshal(data, &document))
	for name, one := range document.Components.Schemas {
		into[name] = one
	}
}

// reach collects the structs below t that are not leaves of the table.
func reach(t reflect.Type, types map[string]reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || leaf(t) != "" || types[definitionName(t)] != nil {
		return
	}
	types[definitionName(t)] = t
	for i := range t.NumField() {
		if t.Field(i).Anonymous {
			embedders[definitionName(t.Field(i).Type)] = definitionName(t)
		}
		reach(t.Field(i).Type, types)
	}
}

// definitionName is the struct's name in OpenAPI.
func definitionName(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	host := strings.Split(parts[0], ".")
	for i, j := 0, len(host)-1; i < j; i, j = i+1, j-1 {
		host[i], host[j] = host[j], host[i]
	}
	return strings.Join(append(host, parts[1:]...), ".") + "." + t.Name()
}

var leaves = map[string]string{
	"resource.Quantity": "Q", "intstr.IntOrString": "I", "v1.Time": "T", "v1.MicroTime": "M",
	"v1.FieldsV1": "F", "runtime.RawExtension": "R",
}

func leaf(t reflect.Type) string { return leaves[t.String()] }

// expression is the type in the table's short form.
func expression(t reflect.Type) string {
	if l := leaf(t); l != "" {
		return l
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + expression(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "y"
		}
		return "[" + named(t, "[]"+t.Elem().String()) + expression(t.Elem())
	case reflect.Map:
		return "{" + named(t, "map[string]"+t.Elem().String()) + expression(t.Elem())
	case reflect.Struct:
		return definitionName(t)
	case reflect.String:
		return "s" + named(t, "string")
	case reflect.Bool:
		return "b" + named(t, "bool")
	case reflect.Int32:
		return "i" + named(t, "int32")
	case reflect.Int64:
		return "l" + named(t, "int64")
	}
	panic("no short form for " + t.String())
}

func named(t reflect.Type, plain string) string {
	if t.String() == plain {
		return ""
	}
	return "(" + t.String() + ")"
}

func printStruct(name string, t reflect.Type, known definition) {
	fmt.Printf("%s\t%s\t%s\n", name, t.String(), known.MapType)
	for i := range t.NumField() {
		printField(t.Field(i), known)
	}
}

func printField(field reflect.StructField, known definition) {
	options := strings.Split(field.Tag.Get("json"), ",")
	if !field.IsExported() || options[0] == "-" {
		return
	}
	name := options[0]
	facts := []string{}
	for _, option := range options[1:] {
		switch option {
		case "omitempty":
			facts = append(facts, "o")
		case "omitzero":
			facts = append(facts, "z")
		case "inline":
		default:
			panic("unknown JSON option " + option)
		}
	}
	if name == "" {
		name = "<" + field.Name
	} else {
		facts = append(facts, factsOf(known.Properties[name])...)
		for _, required := range known.Required {
			if required == name {
				facts = append(facts, "r")
			}
		}
	}
	if key := field.Tag.Get("patchMergeKey"); key != "" {
		facts = append(facts, "k="+key)
	}
	if strategy := field.Tag.Get("patchStrategy"); strategy != "" {
		facts = append(facts, "p="+strings.ReplaceAll(strategy, ",", "|"))
	}
	fmt.Printf("\t%s\t%s\t%s\t%s\n", name, expression(field.Type), tag(field), strings.Join(facts, " "))
}

func factsOf(known property) []string {
	facts := []string{}
	if known.ListType != "" {
		facts = append(facts, "l="+strings.Join(append([]string{known.ListType}, known.ListKeys...), "|"))
	}
	if known.MapType != "" {
		facts = append(facts, "m="+known.MapType)
	}
	if len(known.Default) > 0 {
		facts = append(facts, "d="+string(known.Default))
	}
	if len(known.Enum) > 0 {
		facts = append(facts, "e="+strings.Join(known.Enum, "|"))
	}
	if known.Items != nil && len(known.Items.Enum) > 0 {
		facts = append(facts, "i="+strings.Join(known.Items.Enum, "|"))
	}
	return facts
}

// tag is the field's number in protobuf; empty where it has none.
func tag(field reflect.StructField) string {
	parts := strings.Split(field.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
