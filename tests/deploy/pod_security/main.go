// Says what the Pod Security Standards think of pods, with the code of Kubernetes' own admission controller.
//
// usage: pod_security LEVEL <PODS
// LEVEL is baseline or restricted; PODS a JSON list of {"name", "metadata", "spec"}. Prints "NAME: allowed" or "NAME: REASON" for each,
// and exits with 1 if any is refused.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type pod struct {
	Name     string            `json:"name"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     corev1.PodSpec    `json:"spec"`
}

func check(level api.Level) (allAllowed bool, err error) {
	var pods []pod
	if err := json.NewDecoder(os.Stdin).Decode(&pods); err != nil {
		return false, err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return false, err
	}
	allAllowed = true
	for _, p := range pods {
		verdict := policy.AggregateCheckResults(
			evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &p.Metadata, &p.Spec))
		if verdict.Allowed {
			fmt.Printf("%s: allowed\n", p.Name)
			continue
		}
		allAllowed = false
		fmt.Printf("%s: %s: %s\n", p.Name, verdict.ForbiddenReason(), verdict.ForbiddenDetail())
	}
	return allAllowed, nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pod_security baseline|restricted <PODS")
		os.Exit(2)
	}
	level, err := api.ParseLevel(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	allAllowed, err := check(level)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if !allAllowed {
		os.Exit(1)
	}
}
